"""Figures: one module per room below, all in the visual language of `style`."""
