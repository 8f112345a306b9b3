"""Each mineral as a network of trade: resilience, TradeRisk, price, and what chance would give."""
