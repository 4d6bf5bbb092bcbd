"""Stroke shapes that the synthesiser draws: digits, letters, signs."""
