"""Settings, materials, regions and the bundled sample."""
