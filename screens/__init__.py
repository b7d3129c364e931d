"""What is seen: screens, dialogs and widgets over the status document."""
