"""What the notebooks drive: covers, measurements, the stress matrix and its report."""
