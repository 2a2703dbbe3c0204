"""Do weightings and algorithms keep their promises? The checks of code from outside the package."""
