"""The fewest devices that meet a demand: what is asked, what one replica can do, what can be had, and which is best."""
