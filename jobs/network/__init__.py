"""The production network of a material: asked for, matched, voted on, tested by trade, in tiers."""
