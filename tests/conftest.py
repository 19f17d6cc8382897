"""For every test: kernels compiled from the source as it is now, not from what it was."""

from cluster.compiled import use_kernel_cache

use_kernel_cache()
