"""Suspicions that labels are wrong, from what models that have not seen them find: ranked, shown, and corrected."""
