"""Shows what happened and passes on what people ask; writes nothing."""
