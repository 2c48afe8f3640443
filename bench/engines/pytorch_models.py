"""The models of work.ts in PyTorch, and batches for them."""
import torch
from torch import nn


def layers(model):
    sizes, parts = model["sizes"], []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        parts += [nn.Linear(a, b)] if i + 2 == len(sizes) else [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*parts)


def cnn(_):
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(0.25), nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(128, 10),
    )


def batch_norm_cnn(_):
    def block(c, o):
        return [nn.Conv2d(c, o, 3, bias=False), nn.BatchNorm2d(o), nn.ReLU()]

    return nn.Sequential(
        *block(1, 32), nn.MaxPool2d(2), *block(32, 64), *block(64, 64), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1024, 10),
    )


class LastOutput(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.lstm = nn.LSTM(model["inputs"], model["hidden"], batch_first=True)
        self.head = nn.Linear(model["hidden"], 10)

    def forward(self, x):
        return self.head(self.lstm(x)[1][0][0])


class Transformer(nn.Module):
    def __init__(self, model):
        super().__init__()
        width, time = model["width"], model["time"]
        self.characters = nn.Embedding(model["vocabulary"], width)
        self.positions = nn.Embedding(time, width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, model["heads"], 4 * width, dropout=0, activation="gelu",
                batch_first=True, norm_first=True,
            )
            for _ in range(model["layers"])
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, model["vocabulary"])
        mask = torch.triu(torch.full((time, time), float("-inf")), diagonal=1)
        self.register_buffer("mask", mask)

    def forward(self, x):
        y = self.characters(x) + self.positions(torch.arange(x.shape[1]))
        for block in self.blocks:
            y = block(y, src_mask=self.mask)
        return self.head(self.norm(y))


CREATE = {
    "layers": layers, "cnn": cnn, "bncnn": batch_norm_cnn, "lstm": LastOutput,
    "transformer": Transformer,
}


def data(model, batch):
    name = model["name"]
    if name == "layers":
        sizes = model["sizes"]
        x = torch.rand(batch, sizes[0])
        if model["loss"] == "mse":
            return x, torch.rand(batch, sizes[-1])
        return x, torch.randint(0, sizes[-1], (batch,))
    if name == "lstm":
        x = torch.rand(batch, model["time"], model["inputs"])
        return x, torch.randint(0, 10, (batch,))
    if name == "transformer":
        shape = (batch, model["time"])
        tokens = model["vocabulary"]
        return torch.randint(0, tokens, shape), torch.randint(0, tokens, (batch * model["time"],))
    return torch.rand(batch, 1, 28, 28), torch.randint(0, 10, (batch,))
