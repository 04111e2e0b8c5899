"""The least hardware that meets a demand."""
