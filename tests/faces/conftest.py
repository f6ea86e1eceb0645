"""What the tests of S3FD and FAN share: weights, made once."""

import pytest
import torch


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Random weights of S3FD and FAN on disk, in the form in which the trained ones come."""
    from face_alignment.detection.sfd.net_s3fd import s3fd
    from face_alignment.models import FAN

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    networks = {"sfd": s3fd(), "fan": FAN(4)}
    # Random scores hover around one half: lean towards "no face", and towards sure landmarks.
    with torch.no_grad():
        networks["sfd"].conv3_3_norm_mbox_conf.bias[3] = -2
        networks["fan"].l3.bias.fill_(0.6)
    for name, network in networks.items():
        torch.save(network.state_dict(), folder / f"{name}.pth")
    return {name: folder / f"{name}.pth" for name in networks}
