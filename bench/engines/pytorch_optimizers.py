"""Schedule-Free optimizers for pytorch.py: the package's, or the same arithmetic where it is not installed."""
import torch

try:
    import schedulefree
    from schedulefree import AdamWScheduleFree, SGDScheduleFree

    SOURCE = f"package {getattr(schedulefree, '__version__', '')}".strip()
    CLASSES = {"AdamWScheduleFree": AdamWScheduleFree, "SGDScheduleFree": SGDScheduleFree}
    if hasattr(schedulefree, "RAdamScheduleFree"):
        CLASSES["RAdamScheduleFree"] = schedulefree.RAdamScheduleFree
except ImportError:
    SOURCE = "multi-tensor stand-in, package not installed"

    class ScheduleFree:
        """y, z and c = w / sum of w (arXiv 2405.15682) in multi-tensor operations."""

        def __init__(self, params, lr):
            self.params = list(params)
            self.lr = lr
            self.z = [p.detach().clone() for p in self.params]
            self.k, self.weight_sum = 0, 0.0

        def train(self):
            pass

        def zero_grad(self):
            for p in self.params:
                p.grad = None

        def advance(self, directions, beta):
            self.weight_sum += self.lr**2
            c = self.lr**2 / self.weight_sum
            torch._foreach_mul_(self.params, 1 - c)
            torch._foreach_add_(self.params, self.z, alpha=c)
            torch._foreach_add_(self.params, directions, alpha=self.lr * (beta * (1 - c) - 1))
            torch._foreach_add_(self.z, directions, alpha=-self.lr)

    class SGDScheduleFree(ScheduleFree):
        @torch.no_grad()
        def step(self):
            self.advance([p.grad for p in self.params], 0.9)

    class AdamWScheduleFree(ScheduleFree):
        def __init__(self, params, lr):
            super().__init__(params, lr)
            self.v = [torch.zeros_like(p) for p in self.params]

        @torch.no_grad()
        def step(self):
            self.k += 1
            grads = [p.grad for p in self.params]
            torch._foreach_mul_(self.v, 0.999)
            torch._foreach_addcmul_(self.v, grads, grads, value=1 - 0.999)
            denominators = torch._foreach_sqrt(torch._foreach_div(self.v, 1 - 0.999**self.k))
            torch._foreach_add_(denominators, 1e-8)
            self.advance(torch._foreach_div(grads, denominators), 0.9)

    CLASSES = {"AdamWScheduleFree": AdamWScheduleFree, "SGDScheduleFree": SGDScheduleFree}


def create_optimizer(name, params, lr):
    if name not in CLASSES:
        raise ValueError(f"no {name} without the package schedulefree")
    return CLASSES[name](params, lr=lr)
