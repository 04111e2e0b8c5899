"""Operations of one layer, one module per kind of block."""
