"""The subcommands, each thin: options to objects, one call, one exit status."""
