"""What a model is: records of its shapes, and the parameters that they count to."""
