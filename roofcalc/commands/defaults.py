"""Default values of the commands' arguments, as a caller would write them."""

SEQ = "1k:128k:x2"  # contexts in tokens, up to the model's own maximum
SEARCH_SEQ = 8000  # context in tokens of `frontier` and `plan`
BATCH = 1
BATCH_SWEEP = "1:256:x2"  # batches of `interactivity`
REPORT_BATCHES = "1,8,64"
INTERACTIVITY = 30.0  # tok/s/user
VOTE_STREAMS = "1,5"  # answers per query of `vote`
RELIABILITY_STREAMS = 5  # generations per majority vote of `reliability`
RELIABILITY_TOKENS = "1k:100k:x10"
PROBLEMS = 10_000_000
ROLLOUTS = 3000
ROLLOUT_TOKENS = 8000
TRAIN_FLOP_RATIO = 100.0
