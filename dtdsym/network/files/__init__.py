"""Files of torch.save, read without running anything of them; safetensors; and the files that dtdsym writes."""
