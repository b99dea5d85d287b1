"""What tax engines implement."""
