"""Trade, countries, products and political stability, as published."""
