"""Reading: accuracy away from MNIST, speed, size."""
