"""The paper's figures as studies, and what its claims about them are worth."""
