"""What the nodes share: conversions, parameters, life cycle, diagnostics, bags, and what a wheel environment lacks."""
