"""A workshop, described: the words (`model`) and how they are read (`load`)."""
