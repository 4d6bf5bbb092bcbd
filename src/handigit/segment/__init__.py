"""Page segmentation: page -> regions that may hold a number."""
