"""What people and programs read: report, gallery, terminal, notifications. Decides nothing."""
