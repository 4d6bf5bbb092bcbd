"""The reader in the browser: agreement with Python, speed of the pad, bytes of the first load."""
