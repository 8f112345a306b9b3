"""Countries in the production network of a material: dependence, influence, profiles."""
