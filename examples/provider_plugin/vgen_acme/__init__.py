"""The protocol of Acme, a made-up vendor, for vgen."""
