"""Exchange: packs in the formats that devices read, and back."""
