"""What people look at: metric trackers, progress, HTML reports."""
