"""Networks: the recurrent agent, the mixers, and the two loops that run them over a batch."""
