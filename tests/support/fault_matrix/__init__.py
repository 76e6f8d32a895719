"""Every fault with every way to be interrupted, at any step: `cases` draws them, `run_case` plays one and judges it."""
