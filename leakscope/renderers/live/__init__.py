"""What a watch shows on a terminal while it goes on: values in, rich's texts out, no I/O."""
