"""Explanations of one reading: activations, nearest neighbours, occlusion maps, and the sentences beside them."""
