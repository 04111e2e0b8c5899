"""`roofcalc overtrain`."""

from roofcalc.cli.command import command
from roofcalc.cli.options import LAW, OPTIMAL_TOKENS, PARAMS, PARAMS_RATIO, TRAIN_FLOP_RATIO
from roofcalc.commands.overtrain import overtrain

COMMAND = command(
    "overtrain",
    overtrain,
    (LAW, TRAIN_FLOP_RATIO, PARAMS_RATIO, PARAMS, OPTIMAL_TOKENS),
    "What a smaller model, trained longer to the same loss, costs in training and saves in inference.",
    (
        "roofcalc overtrain --train-flop-ratio 100",
        "roofcalc overtrain --law besiroglu --params-ratio 0.25,0.5 --params 70e9 --pretrain-tokens 1.4e12",
    ),
)
