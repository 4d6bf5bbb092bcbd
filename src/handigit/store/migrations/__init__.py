"""How a database came to have its tables: one file a step, each changed never again once it was released."""
