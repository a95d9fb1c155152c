"""The command line: doit's tasks and commands over everything else. The only room that knows doit."""
