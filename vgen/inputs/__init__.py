"""What the user wrote: shots, pictures, run variables, provider sections. Reads, checks, and explains what is wrong."""
