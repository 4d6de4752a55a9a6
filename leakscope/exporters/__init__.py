"""What hands a watch's figures to systems that watch many machines."""
