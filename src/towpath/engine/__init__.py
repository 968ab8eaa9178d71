"""What starts runners and says where they answer."""
