"""Stories of whole houses: engines, tiers and regions, and all that befalls them, in any order."""
