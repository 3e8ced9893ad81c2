"""What other tools take: models, indexes, vectors, and the conditions under which figures were measured."""
