"""Floor 2: what training minimises, one file each behind one table."""

from geocr.core.registry import Registry

LOSSES = Registry(
    "geocr.losses",
    {
        "l1": "geocr.losses.l1:L1Loss",
        "l2": "geocr.losses.l2:L2Loss",
        "smooth_l1": "geocr.losses.smooth_l1:SmoothL1Loss",
        "carl": "geocr.losses.carl:CarlLoss",
        "structure": "geocr.losses.structure:StructureLoss",
        "ssim": "geocr.losses.ssim:SsimLoss",
        "ms_ssim": "geocr.losses.ms_ssim:MsSsimLoss",
        "sam": "geocr.losses.sam:SamLoss",
        "gnll": "geocr.losses.gnll:GaussianNllLoss",
        "mgnll": "geocr.losses.mgnll:MultivariateGaussianNllLoss",
        "attention_sparsity": "geocr.losses.attention_sparsity:AttentionSparsityLoss",
        "perceptual": "geocr.losses.perceptual:PerceptualLoss",
    },
)
"""Every loss over a prediction by name; each entry is a `Loss` whose constructor takes JSON-able keyword arguments."""

ADVERSARIAL_LOSSES = Registry(
    "geocr.adversarial_losses",
    {
        "lsgan": "geocr.losses.gan:LeastSquaresGan",
        "bce": "geocr.losses.gan:CrossEntropyGan",
        "hinge": "geocr.losses.gan:HingeGan",
    },
)
"""Every loss over a discriminator's scores by name; each entry is an `AdversarialLoss`."""
