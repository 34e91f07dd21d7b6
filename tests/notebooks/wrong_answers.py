"""Answers that learners give and that are not right yet, with what the check must say of them.

`WRONG[check] = [(code that replaces the stub, a fragment of the reason), …]`
"""

SHARE = """
def my_share(values, groups):
    means = {group: values[[g == group for g in groups]].mean() for group in set(groups)}
    fitted = torch.stack([means[group] for group in groups])
    return RETURN
"""
DEALT = """
import itertools


def my_test(a, b):
    pool = a + b
    deals = itertools.combinations(range(len(pool)), len(a))
    totals = [sum(pool[i] for i in deal) for deal in deals]
    gaps = [total / len(a) - (sum(pool) - total) / len(b) for total in totals]
    return RETURN
"""

SHIFTS = """
def my_shifts(image):
    var_x, var_y, cov = attributes.moments(image.unsqueeze(0))
    ink, y = (image[0] + 1).sum(1), torch.arange(28.0)
    y = y - (ink * y).sum() / ink.sum()
    return RETURN
"""

WRONG = {
    # Lesson 00
    "one_round_in_turn": [
        ("def my_round(x, y, h):\n    return x - h * y, y + h * x\n", "both step at once"),
        ("def my_round(x, y, h):\n    x = x - h * y\n    return x, y + h * x\n", "x steps first"),
        ("def my_round(x, y, h):\n    y = y - h * x\n    return x - h * y, y\n", "y goes down as well"),
        ("def my_round(x, y, h):\n    y = y + h * x\n    return x + h * y, y\n", "x goes up as well"),
        ("def my_round(x, y, h):\n    y = y - h * x\n    return x + h * y, y\n", "both go the wrong way"),
        ("def my_round(x, y, h):\n    y = y + h * x\n    return y, x - h * y\n", "give x, then y"),
        ("def my_round(x, y, h):\n    return x - h, y + h\n", "it should lead to (0.86, 0.70)"),
    ],
    "best_discriminator": [
        ("def my_best_d(log_p, log_q):\n    return torch.sigmoid(log_q - log_p)\n", "high should mean real"),
        ("def my_best_d(log_p, log_q):\n    return log_p - log_q\n", "that is its logit"),
        ("def my_best_d(log_p, log_q):\n    return (log_p - log_q).exp()\n", "without bounds"),
        ("def my_best_d(log_p, log_q):\n    return log_p / (log_p + log_q)\n", "shares of the logarithms"),
        ("def my_best_d(log_p, log_q):\n    return log_p.exp()\n", "p alone"),
        ("def my_best_d(log_p, log_q):\n    return (log_p > log_q).float()\n", "yes or no"),
        ("def my_best_d(log_p, log_q):\n    return (log_p.exp() + log_q.exp()) / 2\n", "should be 0.7311"),
        (
            "def my_best_d(log_p, log_q):\n    return log_p.exp() / (log_p.exp() + log_q.exp())\n",
            "0 / 0 is not a number",
        ),
    ],
    "modes_and_share": [
        (
            """
def my_count(samples, centres, sigma):
    distance, mode = torch.cdist(samples, centres).min(1)
    return mode.unique().numel(), (distance <= 3 * sigma).float().mean()
""",
            "you count all of them",
        ),
        (
            """
def my_count(samples, centres, sigma):
    good = torch.cdist(samples, centres).min(1).values <= 3 * sigma
    return good.sum(), good.float().mean()
""",
            "count each of the modes once",
        ),
        (
            """
def my_count(samples, centres, sigma):
    good = ((samples[:, None] - centres).abs() <= 3 * sigma).all(2)
    return good.any(0).sum(), good.any(1).float().mean()
""",
            "a corner of the square",
        ),
        (
            """
def my_count(samples, centres, sigma):
    good = torch.cdist(samples, centres) <= sigma
    return good.any(0).sum(), good.any(1).float().mean()
""",
            "not one",
        ),
        (
            """
def my_count(samples, centres, sigma):
    good = torch.cdist(samples, centres) <= 3 * sigma
    return good.any(0).sum(), good.any(1).sum()
""",
            "divide by the number of samples",
        ),
        (
            """
def my_count(samples, centres, sigma):
    good = torch.cdist(samples, centres) <= 3 * sigma
    return good.any(0).sum(), good.any(0).float().mean()
""",
            "share of the *modes*",
        ),
        (
            """
def my_count(samples, centres, sigma):
    good = torch.cdist(samples, centres) <= 3 * sigma
    return good.any(0).sum(), good.float().mean()
""",
            "7 of 10 samples are good",
        ),
    ],
    # Lesson 01
    "read_labels": [
        ("def my_read_labels(content):\n    return list(content)\n", "its header is among the labels"),
        ("def my_read_labels(content):\n    return list(content[16:])\n", "the first 8 labels are missing"),
        (
            """
def my_read_labels(content):
    n = int.from_bytes(content[4:8], "little")
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=8, count=n)
""",
            "it raised",
        ),
        ("def my_read_labels(content):\n    return content[4:]\n", "were read as 14 that begin [0, 0, 0, 10]"),
    ],
    "way_back": [
        (
            """
def my_to_uint8(x):
    return ((x.squeeze(1) + 1) * 127.5).clamp(0, 255).to(torch.uint8)
""",
            "63 of the 256 greys come back one too dark",
        ),
        (
            """
def my_to_uint8(x):
    return ((x.squeeze(1) + 1) * 127.5).round().to(torch.uint8)
""",
            "clamp before you convert",
        ),
        (
            "def my_to_uint8(x):\n    return ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)\n",
            "not [3, 1, 28, 28]",
        ),
        ("def my_to_uint8(x):\n    return ((x.squeeze(1) + 1) * 127.5).round().clamp(0, 255)\n", "not torch.float32"),
        (
            "def my_to_uint8(x):\n    return (x.squeeze(1) * 255).round().clamp(0, 255).to(torch.uint8)\n",
            "0, 128 and 255",
        ),
        ("def my_to_uint8(x):\n    return x.squeeze(1).round().clamp(0, 255).to(torch.uint8)\n", "0, 128 and 255"),
    ],
    "one_epoch": [
        (
            """
def my_epoch(images, batch_size):
    for _ in range(len(images) // batch_size):
        yield data.to_range(images[torch.randint(len(images), (batch_size,))])
""",
            "some came twice",
        ),
        (
            """
def my_epoch(images, batch_size):
    for start in range(0, len(images) - batch_size + 1, batch_size):
        yield data.to_range(images[start : start + batch_size])
""",
            "in the order of the file",
        ),
        (
            """
def my_epoch(images, batch_size):
    for chosen in torch.randperm(len(images)).split(batch_size):
        yield data.to_range(images[chosen])
""",
            "leave out what does not fill a batch",
        ),
        (
            """
def my_epoch(images, batch_size):
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    for chosen in order.split(batch_size)[: len(images) // batch_size]:
        yield data.to_range(images[chosen])
""",
            "the same order",
        ),
        (
            """
def my_epoch(images, batch_size):
    for chosen in torch.randperm(len(images)).split(batch_size)[: len(images) // batch_size]:
        yield images[chosen]
""",
            "not torch.uint8 [10, 28, 28]",
        ),
        (
            """
def my_epoch(images, batch_size):
    for chosen in torch.randperm(len(images)).split(batch_size)[: len(images) // batch_size]:
        yield images[chosen].unsqueeze(1).float()
""",
            "not from -1 to 1",
        ),
        (
            """
def my_epoch(images, batch_size):
    return data.batches(images, batch_size)
""",
            "yours goes on",
        ),
    ],
    # Lesson 02
    "losses_from_softplus": [
        (
            """
def my_losses(real_logits, fake_logits):
    return F.softplus(real_logits).mean() + F.softplus(-fake_logits).mean(), F.softplus(-fake_logits).mean()
""",
            "signs the wrong way round",
        ),
        (
            """
def my_losses(real_logits, fake_logits):
    return F.softplus(-real_logits).sum() + F.softplus(fake_logits).sum(), F.softplus(-fake_logits).mean()
""",
            "take the mean",
        ),
        (
            """
def my_losses(real_logits, fake_logits):
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean(), -F.softplus(fake_logits).mean()
""",
            "goes flat",
        ),
        (
            """
def my_losses(real_logits, fake_logits):
    real, fake = torch.sigmoid(real_logits), torch.sigmoid(fake_logits)
    return -torch.log(real).mean() - torch.log(1 - fake).mean(), -torch.log(fake).mean()
""",
            "a logit of 200",
        ),
    ],
    "generator_step": [
        (
            """
def my_generator_step(generator, discriminator, g_optimizer, z):
    g_loss = cross_entropy(discriminator(generator(z).detach()), 1.0)
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    return g_loss
""",
            "G did not move",
        ),
        (
            """
def my_generator_step(generator, discriminator, g_optimizer, z):
    g_loss = cross_entropy(discriminator(generator(z)), 0.0)
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    return g_loss
""",
            "the wrong way",
        ),
        (
            """
def my_generator_step(generator, discriminator, g_optimizer, z):
    g_loss = -cross_entropy(discriminator(generator(z)), 0.0)
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    return g_loss
""",
            "nothing negated",
        ),
        (
            """
def my_generator_step(generator, discriminator, g_optimizer, z):
    g_loss = cross_entropy(discriminator(generator(z)), 1.0)
    g_loss.backward()
    g_optimizer.step()
    return g_loss
""",
            "zero_grad",
        ),
    ],
    "slopes": [
        (
            """
def my_slopes(a):
    return -torch.sigmoid(torch.tensor(-a)).item(), -torch.sigmoid(torch.tensor(a)).item()
""",
            "wrong order",
        ),
        (
            """
def my_slopes(a):
    return torch.sigmoid(torch.tensor(a)).item(), torch.sigmoid(torch.tensor(-a)).item()
""",
            "signs are wrong",
        ),
    ],
    # Lesson 03
    "transposed_convolution": [
        (
            """
def my_transposed_convolution(x, kernel, stride):
    (height, width), k = x.shape, len(kernel)
    output = torch.zeros((height - 1) * stride + k, (width - 1) * stride + k)
    for i in range(height):
        for j in range(width):
            output[i * stride : i * stride + k, j * stride : j * stride + k] = x[i, j] * kernel
    return output
""",
            "should add up",
        ),
        (
            """
def my_transposed_convolution(x, kernel, stride):
    (height, width), k = x.shape, len(kernel)
    output = torch.zeros(height * stride + k, width * stride + k)
    for i in range(height):
        for j in range(width):
            output[i * stride : i * stride + k, j * stride : j * stride + k] += x[i, j] * kernel
    return output
""",
            "should give",
        ),
        (
            """
def my_transposed_convolution(x, kernel, stride):
    return F.conv_transpose2d(x[None, None], kernel.flip(0, 1)[None, None], stride=stride)[0, 0]
""",
            "flipped",
        ),
    ],
    "transposed_size": [
        (
            "def my_size(size, kernel, stride, padding):\n    return (size + 2 * padding - kernel) // stride + 1\n",
            "ordinary convolution",
        ),
        ("def my_size(size, kernel, stride, padding):\n    return size * stride + kernel - 2 * padding\n", "size - 1"),
    ],
    "batch_norm_in_eval_mode": [
        (
            """
def my_batch_norm(x, layer):
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, unbiased=False)
    return (x - mean) / (var + layer.eps).sqrt() * layer.weight.view(1, -1, 1, 1) + layer.bias.view(1, -1, 1, 1)
""",
            "the batch's own mean",
        ),
        (
            """
def my_batch_norm(x, layer):
    return (x - layer.running_mean.view(1, -1, 1, 1)) / (layer.running_var.view(1, -1, 1, 1) + layer.eps).sqrt()
""",
            "weight + bias",
        ),
    ],
    # Lesson 04
    "log_spaced": [
        (
            """
def my_moments(first, last, n):
    return [round(first + (last - first) * i / (n - 1)) for i in range(n)]
""",
            "same distance apart",
        ),
        (
            """
def my_moments(first, last, n):
    return np.geomspace(first, last, n).tolist()
""",
            "whole numbers",
        ),
        (
            """
def my_moments(first, last, n):
    factor = (last / first) ** (1 / n)
    return [round(first * factor**i) for i in range(n)]
""",
            "it should be [1, 10, 100, 1000]",
        ),
        (
            """
def my_moments(first, last, n):
    factor = (last / first) ** (1 / (n - 1))
    return [round(first * factor**i) for i in range(n - 1)]
""",
            "3 moments, not 4",
        ),
        (
            """
def my_moments(first, last, n):
    factor = (last / first) ** (1 / (n - 1))
    return [int(first * factor**i) for i in range(n)]
""",
            "it should be",
        ),
    ],
    "moving_average": [
        (
            """
def my_average(weights, ema):
    return torch.stack(weights).mean(0)
""",
            "plain mean",
        ),
        (
            """
def my_average(weights, ema):
    average = weights[0]
    for now in weights[1:]:
        average = ema * average + (1 - ema) * now
    return average
""",
            "from the start",
        ),
        (
            """
def my_average(weights, ema):
    average = weights[0]
    for s, now in enumerate(weights[1:]):
        decay = min(ema, (1 + s) / (10 + s))
        average = (1 - decay) * average + decay * now
    return average
""",
            "swapped",
        ),
        (
            """
def my_average(weights, ema):
    average = torch.zeros_like(weights[0])
    for s, now in enumerate(weights):
        decay = min(ema, (1 + s) / (10 + s))
        average = decay * average + (1 - decay) * now
    return average
""",
            "differs from the library's",
        ),
    ],
    "pixel_gradient": [
        (
            """
def my_gradient(discriminator, images):
    images = images.clone().requires_grad_(True)
    return torch.autograd.grad(discriminator(images).mean(), images)[0]
""",
            "gradient of the mean",
        ),
        (
            """
def my_gradient(discriminator, images):
    images = images.clone().requires_grad_(True)
    return torch.autograd.grad(discriminator(images).sigmoid().sum(), images)[0]
""",
            "the probability",
        ),
        (
            """
def my_gradient(discriminator, images):
    images = images.clone().requires_grad_(True)
    discriminator(images).sum().backward()
    return images.grad.abs()
""",
            "signs are gone",
        ),
        (
            """
def my_gradient(discriminator, images):
    discriminator(images).sum().backward()
    return images.grad
""",
            "it is None",
        ),
        (
            """
def my_gradient(discriminator, images):
    return torch.autograd.grad(discriminator(images).sum(), images)[0]
""",
            "does not require grad",
        ),
    ],
    # Lesson 05
    "walk_on_the_sphere": [
        (
            """
def my_slerp(a, b, t):
    return (1 - t) * a + t * b
""",
            "the straight line, which cuts",
        ),
        (
            """
def my_slerp(a, b, t):
    straight = (1 - t) * a + t * b
    return straight / straight.norm() * ((1 - t) * a.norm() + t * b.norm())
""",
            "pushed out to the shell",
        ),
        (
            """
def my_slerp(a, b, t):
    omega = torch.acos(torch.dot(a, b))
    return (torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b) / torch.sin(omega)
""",
            "not a number",
        ),
        (
            """
def my_slerp(a, b, t):
    omega = torch.acos(torch.dot(a, b) / (a.norm() * b.norm()))
    return (torch.sin(t * omega) * a + torch.sin((1 - t) * omega) * b) / torch.sin(omega)
""",
            "goes from b to a",
        ),
        (
            """
def my_slerp(a, b, t):
    omega = torch.acos(torch.dot(a, b) / (a.norm() * b.norm()))
    return torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b
""",
            "divide by sin",
        ),
    ],
    "slant_in_degrees": [
        (
            """
def my_slant(images):
    var_x, var_y, cov = moments(images)
    return torch.rad2deg(0.5 * torch.atan2(-2 * cov, var_y - var_x))
""",
            "bars drawn with the slants",
        ),
        (
            """
def my_slant(images):
    var_x, var_y, cov = moments(images)
    return torch.atan(-cov / var_y)
""",
            "radians",
        ),
        (
            """
def my_slant(images):
    var_x, var_y, cov = moments(images)
    return torch.rad2deg(torch.atan(cov / var_y))
""",
            "y points down",
        ),
        (
            """
def my_slant(images):
    var_x, var_y, cov = moments(images)
    return torch.rad2deg(torch.atan(-cov / var_x))
""",
            "variance of x",
        ),
        (
            """
def my_slant(images):
    var_x, var_y, cov = moments(images)
    return -cov / var_y
""",
            "the slope",
        ),
        (
            """
def my_slant(images):
    var_x, var_y, cov = moments(images)
    return torch.rad2deg(torch.atan(-cov / var_y)).mean()
""",
            "a number for each image",
        ),
        (
            """
def my_slant(images):
    var_x, var_y, cov = moments(images)
    return torch.rad2deg(-cov / (var_x * var_y).sqrt())
""",
            "bars drawn with the slants",
        ),
    ],
    "direction_by_least_squares": [
        (
            """
def my_direction(z, values):
    weights = torch.linalg.lstsq(z, values[:, None]).solution[:, 0]
    return weights / weights.norm()
""",
            "forced through the origin",
        ),
        (
            """
def my_direction(z, values):
    design = torch.cat([z, torch.ones_like(z[:, :1])], 1)
    weights = torch.linalg.lstsq(design, values[:, None]).solution[:, 0]
    return weights / weights.norm()
""",
            "leave out the weight",
        ),
        (
            """
def my_direction(z, values):
    design = torch.cat([z, torch.ones_like(z[:, :1])], 1)
    return torch.linalg.lstsq(design, values[:, None]).solution[:-1, 0]
""",
            "its length is 3",
        ),
        (
            """
def my_direction(z, values):
    design = torch.cat([z, torch.ones_like(z[:, :1])], 1)
    weights = torch.linalg.lstsq(design, values[:, None]).solution
    return weights[:-1] / weights[:-1].norm()
""",
            "its shape should be [5]",
        ),
        (
            """
def my_direction(z, values):
    covariance = (z * (values - values.mean())[:, None]).mean(0)
    return covariance / covariance.norm()
""",
            "for values that grow along",
        ),
    ],
    # Lesson 06
    "bell_to_bell": [
        (
            """
def my_distance(a, b):
    return (a.mean() - b.mean()) ** 2
""",
            "the means alone",
        ),
        (
            """
def my_distance(a, b):
    return (a.mean() - b.mean()).abs() + (a.std() - b.std()).abs()
""",
            "*squared* moves",
        ),
        (
            """
def my_distance(a, b):
    return ((a.mean() - b.mean()) + (a.std() - b.std())) ** 2
""",
            "each gap by itself",
        ),
        (
            """
def my_distance(a, b):
    return ((a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2).sqrt()
""",
            "the root of it",
        ),
        (
            """
def my_distance(a, b):
    return (a.mean() - b.mean()) ** 2 + (a.var() - b.var()) ** 2
""",
            "you took the variances",
        ),
        (
            """
def my_distance(a, b):
    return (a.mean() - b.mean()) ** 2 + a.var() - b.var()
""",
            "is not s_a² - s_b²",
        ),
        (
            """
def my_distance(a, b):
    return (a.mean() - b.mean()) ** 2 + a.var() + b.var()
""",
            "the spreads subtract",
        ),
        (
            """
def my_distance(a, b):
    return (a.mean() - b.mean()) ** 2 + 2 * (a.std() - b.std()) ** 2
""",
            "standard deviations 1.97 apart it gives",
        ),
        (
            """
def my_distance(a, b):
    return (a - b.mean()) ** 2
""",
            "one number",
        ),
    ],
    "coverage_from_distances": [
        (
            """
def my_coverage(distances, radii):
    return (distances < radii[:, None]).any(0).float().mean()
""",
            "precision",
        ),
        (
            """
def my_coverage(distances, radii):
    return (distances.min(1).values < radii).sum()
""",
            "a share is the mean",
        ),
        (
            """
def my_coverage(distances, radii):
    return (distances < radii[:, None]).float().mean()
""",
            "the share of all pairs",
        ),
        (
            """
def my_coverage(distances, radii):
    return (distances.min(1).values > radii).float().mean()
""",
            "empty",
        ),
        (
            """
def my_coverage(distances, radii):
    return (distances.mean(1) < radii).float().mean()
""",
            "not the mean of all",
        ),
        (
            """
def my_coverage(distances, radii):
    return (distances < radii).any(1).float().mean()
""",
            "it raised RuntimeError",
        ),
        (
            """
def my_coverage(distances, radii):
    return distances.min(1).values < radii
""",
            "not 40 numbers",
        ),
        (
            """
def my_coverage(distances, radii):
    return (distances.min(1).values < radii.mean()).float().mean()
""",
            "of 40 balls hold a fake",
        ),
    ],
    "four_piles": [
        (
            'my_answer = {"A": "real", "B": "honest", "C": "collapsed", "D": "memoriser"}\n',
            "C does not draw too little",
        ),
        ('my_answer = {"A": "collapsed", "B": "honest", "C": "memoriser", "D": "real"}\n', "C is no copier"),
        (
            'my_answer = {"A": "collapsed", "B": "real", "C": "honest", "D": "memoriser"}\n',
            "real and honest are swapped",
        ),
        ('my_answer = {"A": "real", "B": "real", "C": "real", "D": "real"}\n', "belongs to one letter"),
        ('my_answer = ["collapsed", "honest", "real", "memoriser"]\n', "a dictionary with the letters"),
    ],
    # Lesson 07
    "largest_stretch": [
        (
            """
def my_stretch(weight, rounds):
    v = torch.ones(weight.shape[1])
    for _ in range(rounds):
        v = weight.T @ (weight @ v)
    return (weight @ v).norm()
""",
            "too large to be a number",
        ),
        (
            """
def my_stretch(weight, rounds):
    v = torch.ones(weight.shape[1])
    for _ in range(rounds):
        v = weight.T @ (weight @ v)
        v = v / v.norm()
    return (weight.T @ (weight @ v)).norm()
""",
            "that is its square",
        ),
        (
            """
def my_stretch(weight, rounds):
    return weight.norm()
""",
            "counts every direction",
        ),
        (
            """
def my_stretch(weight, rounds):
    v = torch.ones(weight.shape[1])
    return (weight @ v).norm()
""",
            "nothing was iterated",
        ),
        (
            """
def my_stretch(weight, rounds):
    return torch.linalg.svdvals(weight)[-1]
""",
            "stretched least",
        ),
        (
            """
def my_stretch(weight, rounds):
    return weight.abs().max()
""",
            "for a weight [3, 5]",
        ),
        (
            """
def my_stretch(weight, rounds):
    return torch.linalg.svdvals(weight)[0]
""",
            "one round can't be exact",
        ),
    ],
    "r1_by_hand": [
        (
            """
def my_r1(discriminator, real):
    real = real.detach().requires_grad_(True)
    (slopes,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return slopes.flatten(1).norm(dim=1).mean()
""",
            "takes the square of it",
        ),
        (
            """
def my_r1(discriminator, real):
    real = real.detach().requires_grad_(True)
    (slopes,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return slopes.square().mean()
""",
            "mean over pixels too",
        ),
        (
            """
def my_r1(discriminator, real):
    real = real.detach().requires_grad_(True)
    (slopes,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return slopes.square().sum()
""",
            "sum over the images",
        ),
        (
            """
def my_r1(discriminator, real):
    real = real.detach().requires_grad_(True)
    (slopes,) = torch.autograd.grad(discriminator(real).mean(), real, create_graph=True)
    return slopes.square().sum((1, 2, 3)).mean()
""",
            "slope of the mean logit",
        ),
        (
            """
def my_r1(discriminator, real):
    real = real.detach().requires_grad_(True)
    (slopes,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return slopes.square().sum((1, 2, 3)).mean() / 2
""",
            "the half belongs",
        ),
        (
            """
def my_r1(discriminator, real):
    real = real.detach().requires_grad_(True)
    (slopes,) = torch.autograd.grad(discriminator(real).sigmoid().sum(), real, create_graph=True)
    return slopes.square().sum((1, 2, 3)).mean()
""",
            "it gives",
        ),
        (
            """
def my_r1(discriminator, real):
    real = real.detach().requires_grad_(True)
    (slopes,) = torch.autograd.grad(discriminator(real).sum(), real)
    return slopes.square().sum((1, 2, 3)).mean()
""",
            "create_graph=True",
        ),
    ],
    "blind_runs": [
        ('my_answer = ["no detach", "sigmoid twice"]\n', "a list of three names"),
        ('my_answer = ["no detach", "sigmoid twice", "fine"]\n', "'fine' is none of the names"),
        ('my_answer = ["discriminator too strong", "sigmoid twice", "healthy"]\n', "the first run is not"),
        ('my_answer = ["range", "sigmoid twice", "healthy"]\n', "there D has a lead from the start"),
        ('my_answer = ["no detach", "healthy", "sigmoid twice"]\n', "look again, for D's logits end at"),
        ('my_answer = ["no detach", "swapped labels", "healthy"]\n', "D(G(z)) lies above D(x)"),
        ('my_answer = ["no detach", "sigmoid twice", "learning rate"]\n', "d_loss climbs far beyond 3"),
    ],
    # Lesson 08
    "label_beside_pixels": [
        (
            "def beside(images, labels):\n    return torch.cat([images.flatten(1), labels[:, None].float()], 1)\n",
            "one number says which digit",
        ),
        (
            "def beside(images, labels):\n    return torch.cat([F.one_hot(labels, 10), images.flatten(1)], 1)\n",
            "before the pixels",
        ),
        (
            "def beside(images, labels):\n    return torch.cat([images.flatten(1), F.one_hot(9 - labels, 10)], 1)\n",
            "the 1 stands at",
        ),
        (
            "def beside(images, labels):\n    return torch.cat([images.flatten(1).flip(1), F.one_hot(labels, 10)], 1)\n",
            "are not the pixels",
        ),
        ("def beside(images, labels):\n    return images.flatten(1)\n", "not [4, 794]"),
    ],
    "projection_logit": [
        ("def projected(f, labels, w, b, v):\n    return f @ w + b\n", "changes nothing"),
        ("def projected(f, labels, w, b, v):\n    return (v[labels] * f).sum(1)\n", "f · w + b is missing"),
        ("def projected(f, labels, w, b, v):\n    return f @ w + (v[labels] * f).sum(1)\n", "b is missing"),
        ("def projected(f, labels, w, b, v):\n    return f @ w + b + (v[labels] * f).mean(1)\n", "not their mean"),
        ("def projected(f, labels, w, b, v):\n    return f @ w + b + v[labels].sum(1)\n", "has to meet the features"),
        ("def projected(f, labels, w, b, v):\n    return f @ w + b + f @ v[labels].T\n", "every other one"),
        ("def projected(f, labels, w, b, v):\n    return (f @ w + b)[:, None] + f @ v.T\n", "a number for each class"),
        ("def projected(f, labels, w, b, v):\n    return f @ w + b - (v[labels] * f).sum(1)\n", "for the first image"),
    ],
    "class_by_latent": [
        ("def for_grid(z):\n    return z.repeat(10, 1), torch.arange(10).repeat(len(z))\n", "takes turns"),
        (
            "def for_grid(z):\n    return z.repeat_interleave(10, 0), torch.arange(10).repeat_interleave(len(z))\n",
            "every third image",
        ),
        (
            "def for_grid(z):\n    return z.repeat(10, 1), torch.arange(10).repeat_interleave(len(z))\n",
            "a row for each digit",
        ),
        ("def for_grid(z):\n    return z.repeat_interleave(10, 0)\n", "two tensors"),
        ("def for_grid(z):\n    return z, torch.arange(10)\n", "their shapes are"),
        (
            "def for_grid(z):\n    return z.repeat_interleave(10, 0), torch.arange(10.0).repeat(len(z))\n",
            "whole numbers",
        ),
        (
            "def for_grid(z):\n    return z.repeat_interleave(10, 0).flip(0), torch.arange(10).repeat(len(z))\n",
            "the first row has",
        ),
    ],
    # Lesson 09
    "upright_shifts": [
        (SHIFTS.replace("RETURN", "cov / var_y * y"), "turn the sign"),
        (SHIFTS.replace("RETURN", "-cov / var_y * torch.arange(28.0)"), "leaves its place"),
        (SHIFTS.replace("RETURN", "-cov / var_y * (torch.arange(28.0) - 13.5)"), "the middle of the picture"),
        (SHIFTS.replace("RETURN", "-cov / var_x * y"), "by the variance of y"),
        (SHIFTS.replace("RETURN", "-cov * y"), "that is the covariance"),
        (SHIFTS.replace("RETURN", "-torch.atan(cov / var_y) * y"), "an angle is no slope"),
        (SHIFTS.replace("RETURN", "attributes.slant(image.unsqueeze(0)) * y"), "those are degrees"),
        (SHIFTS.replace("RETURN", "-cov / var_y"), "28 rows to move"),
        (SHIFTS.replace("RETURN", "0 * y"), "it moves the top row by"),
    ],
    # Lesson 10
    "log_uniform": [
        ("def my_rates(n, low, high):\n    return low + (high - low) * torch.rand(n)\n", "nine in ten are above"),
        (
            "def my_rates(n, low, high):\n    return low * (high / low) ** torch.rand(n).sqrt()\n",
            "a third should lie below",
        ),
        ("def my_rates(n, low, high):\n    return low * (high / low) ** torch.linspace(0, 1, n)\n", "the same numbers"),
        (
            "def my_rates(n, low, high):\n    return 10 ** torch.empty(n).uniform_(math.log(low), math.log(high))\n",
            "it gives",
        ),
        ("def my_rates(n, low, high):\n    return low * (high / low) ** torch.rand(())\n", "its shape is []"),
    ],
    "share_explained": [
        (SHARE.replace("RETURN", "1 - fitted.var() / values.var()"), "the share within the groups"),
        (SHARE.replace("RETURN", "fitted.var(correction=0)"), "that is a variance"),
        (SHARE.replace("RETURN", "(fitted.var() / values.var()).sqrt()"), "that is its root"),
        (SHARE.replace("RETURN", "fitted.unique().var(correction=0) / values.var(correction=0)"), "counts more"),
        (SHARE.replace("RETURN", "fitted.var() / values.var(correction=0)"), "by N - 1"),
        (SHARE.replace("RETURN", "fitted.std() / values.mean()"), "it gives"),
    ],
    "luck_of_the_best": [
        ("def my_luck(n, sigma):\n    return sigma * torch.randn(20_000, n).amin(1).mean()\n", "turn the sign"),
        ("def my_luck(n, sigma):\n    return -torch.randn(20_000, n).amin(1).mean()\n", "multiply by sigma"),
        ("def my_luck(n, sigma):\n    return sigma / n**0.5\n", "the smallest of n"),
        ("def my_luck(n, sigma):\n    return sigma * (2 * math.log(n)) ** 0.5\n", "endless n"),
        ("def my_luck(n, sigma):\n    return sigma\n", "it gives 1.00"),
    ],
    "relabelled": [
        (DEALT.replace("RETURN", "sum(gap <= gaps[0] for gap in gaps) / len(gaps)"), "one side"),
        (DEALT.replace("RETURN", "sum(gap >= gaps[0] for gap in gaps) / len(gaps)"), "one side"),
        (DEALT.replace("RETURN", "sum(abs(gap) > abs(gaps[0]) for gap in gaps) / len(gaps)"), "counts too"),
        (DEALT.replace("RETURN", "sum(abs(gap) < abs(gaps[0]) for gap in gaps) / len(gaps)"), "the smaller gaps"),
        (DEALT.replace("RETURN", "sum(abs(gap) >= abs(gaps[0]) for gap in gaps)"), "that is how many"),
        (DEALT.replace("RETURN", "min(1, abs(gaps[0]))"), "it gives"),
    ],
    # Lesson 09
    "half_a_batch": [
        (
            """
def my_batch(real, fake, n):
    r, f = torch.randint(len(real.images), (n,)), torch.randint(len(fake.images), (n,))
    return torch.cat([real.images[r], fake.images[f]]), torch.cat([real.labels[r], fake.labels[f]])
""",
            "a batch of 40 is images [40, 28, 28]",
        ),
        (
            """
def my_batch(real, fake, n):
    half = n // 2
    images = [d.images[torch.randint(len(d.images), (half,))] for d in (real, fake)]
    labels = [d.labels[torch.randint(len(d.labels), (half,))] for d in (real, fake)]
    return torch.cat(images), torch.cat(labels)
""",
            "draw the places once",
        ),
        (
            """
def my_batch(real, fake, n):
    images, labels = torch.cat([real.images, fake.images]), torch.cat([real.labels, fake.labels])
    order = torch.randperm(len(images))[:n]
    return images[order], labels[order]
""",
            "of 40 images 20 should be generated",
        ),
        (
            """
def my_batch(real, fake, n):
    half = n // 2
    return torch.cat([real.images[:half], fake.images[:half]]), torch.cat([real.labels[:half], fake.labels[:half]])
""",
            "the same digits each time",
        ),
        (
            """
def my_batch(real, fake, n):
    r, f = torch.randint(n, (n // 2,)), torch.randint(n, (n // 2,))
    return torch.cat([real.images[r], fake.images[f]]), torch.cat([real.labels[r], fake.labels[f]])
""",
            "never drawn",
        ),
    ],
    # Lesson 11
    "products": [
        (
            """
def my_products(n, widths):
    return n * sum(a * b for a, b in zip(widths, widths[1:]))
""",
            "forward pass alone",
        ),
        (
            """
def my_products(n, widths):
    return 2 * n * sum(a * b for a, b in zip(widths, widths[1:]))
""",
            "two products for a layer",
        ),
        (
            """
def my_products(n, widths):
    return 3 * n * sum(a * b for a, b in zip(widths, widths[1:]))
""",
            "they need no gradient",
        ),
        (
            """
def my_products(n, widths):
    layers = [a * b for a, b in zip(widths, widths[1:])]
    return n * (3 * sum(layers) - layers[-1])
""",
            "not the last",
        ),
        (
            """
def my_products(n, widths):
    layers = [a * b for a, b in zip(widths, widths[1:])]
    return 3 * sum(layers) - layers[0]
""",
            "for one image",
        ),
        ("def my_products(n, widths):\n    return n * sum(widths)\n", "it gives"),
    ],
    "amdahl": [
        ("def my_speedup(share, factor):\n    return 1 - share + share / factor\n", "time that is left"),
        ("def my_speedup(share, factor):\n    return share * factor\n", "as before"),
        ("def my_speedup(share, factor):\n    return 1 - share + share * factor\n", "it gives"),
    ],
    "smallest_step": [
        ("def my_smallest(kind):\n    return torch.finfo(kind).eps / 2\n", "go back by one"),
        ("def my_smallest(kind):\n    return torch.finfo(kind).tiny\n", "near 0"),
        ("def my_smallest(kind):\n    return 2.0 ** -7\n", "it gives"),
    ],
}
