"""A report as one page to send around: HTML that needs nothing but the file itself."""
