"""The design of a screen as its file tells it: batch, donor, guide, condition and size factor."""
