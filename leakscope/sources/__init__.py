"""Where samples come from: a living process, or a recording of one."""
