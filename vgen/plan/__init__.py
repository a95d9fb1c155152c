"""Pure decisions: what each shot needs next, what a whole production costs, and why."""
