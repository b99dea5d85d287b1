"""What a caller needs: the generated contract in `daybook.v1`, conveniences in `daybook.client`."""
