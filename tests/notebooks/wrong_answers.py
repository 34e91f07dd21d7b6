"""Answers that learners give and that are not right yet, with what the check must say of them.

`WRONG[check] = [(code that replaces the stub, a fragment of the reason), …]`
"""

WRONG = {
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
        ("def my_size(size, kernel, stride, padding):\n    return (size + 2 * padding - kernel) // stride + 1\n", "ordinary convolution"),
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
}
